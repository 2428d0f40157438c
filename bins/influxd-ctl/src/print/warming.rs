//! How data nodes stand with reading groups ahead of logins.

use super::table;
use crate::ldap::Warming;

/// One line a node, by id; what may have spaces comes last.
pub(crate) fn list(warming: &Warming) -> String {
    let mut nodes: Vec<_> = warming.nodes.iter().collect();
    nodes.sort_by_key(|node| node.id);
    let head = ["ID", "Address", "State", "Groups", "Members", "Message"].map(str::to_owned).to_vec();
    let rows = nodes.into_iter().map(|node| {
        let groups = format!("{}/{}", node.groups_read, node.groups);
        let members = node.members.to_string();
        vec![node.id.to_string(), node.tcp_addr.clone(), node.state.clone(), groups, members, node.message.clone()]
    });
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), 0)
}

//! Who owns the shards of a new group.
//!
//! Nodes are walked in order of their ids, in a circle; each shard takes the next few. A group has as many shards as it
//! takes until every node owns the same number of them, so that writes spread evenly. Where the walk starts depends on
//! the index of the command, so that groups spread, too.

use crate::data::Owner;

/// Most copies that the automatic policy of a new database asks for, on up to this many nodes; beyond it,
/// [`AUTO_REPLICA_N_LARGE`].
const AUTO_REPLICA_N_SMALL: u32 = 3;
/// Copies that the automatic policy asks for on more nodes than that.
const AUTO_REPLICA_N_LARGE: u32 = 2;

/// How many copies the automatic policy of a new database asks for.
pub fn auto_replica_n(data_node_count: usize) -> u32 {
    match u32::try_from(data_node_count) {
        Ok(count) if count <= AUTO_REPLICA_N_SMALL => count.max(1),
        _ => AUTO_REPLICA_N_LARGE,
    }
}

/// How many of `node_count` nodes own a shard when `replica_n` copies are wanted.
pub fn owner_count(node_count: usize, replica_n: u32) -> usize {
    usize::try_from(replica_n).unwrap_or(usize::MAX).min(node_count).max(1)
}

/// How many shards a group gets: the fewest that every node owns equally many of. `node_count` is at least 1.
pub fn shard_count(node_count: usize, replica_n: u32) -> usize {
    let owners = owner_count(node_count, replica_n);
    node_count / gcd(node_count, owners)
}

/// The owners of the shard in `slot`. `nodes` is not empty and ordered by id; `start` says where the walk of the group
/// begins.
pub fn owners(nodes: &[Owner], replica_n: u32, start: u64, slot: u32) -> Vec<Owner> {
    let count = owner_count(nodes.len(), replica_n);
    let start = usize::try_from(start % nodes.len() as u64).expect("less than the number of nodes");
    let slot = usize::try_from(slot).expect("32 bits fit");
    let first = start + slot % nodes.len() * count;
    (first..first + count).map(|index| nodes[index % nodes.len()]).collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use model::NodeId;

    use super::*;
    use crate::data::Incarnation;

    fn nodes(ids: &[u64]) -> Vec<Owner> {
        ids.iter().map(|id| Owner { node: NodeId(*id), incarnation: Incarnation(u128::from(*id)) }).collect()
    }

    fn ids(owners: &[Owner]) -> Vec<u64> {
        owners.iter().map(|owner| owner.node.0).collect()
    }

    #[test]
    fn shards_are_as_few_as_balance_allows() {
        let table = [(1, 1, 1), (2, 1, 2), (2, 2, 1), (3, 2, 3), (3, 3, 1), (4, 2, 2), (4, 3, 4), (5, 2, 5), (6, 2, 3)];
        for (nodes, replicas, want) in table.into_iter().chain([(6, 4, 3), (1, 3, 1), (3, 9, 1)]) {
            assert_eq!(shard_count(nodes, replicas), want, "{nodes} nodes, {replicas} copies");
        }
    }

    #[test]
    fn every_node_owns_the_same_number_of_shards() {
        for node_count in 1..=9 {
            for replica_n in 1..=9 {
                let nodes = nodes(&(1..=node_count as u64).collect::<Vec<_>>());
                let shards = u32::try_from(shard_count(node_count, replica_n)).expect("few");
                let mut owned = vec![0; node_count];
                for slot in 0..shards {
                    let owners = ids(&owners(&nodes, replica_n, 7, slot));
                    for id in &owners {
                        owned[usize::try_from(id - 1).expect("small")] += 1;
                    }
                    let mut distinct = owners.clone();
                    distinct.sort_unstable();
                    distinct.dedup();
                    assert_eq!(distinct.len(), owners.len(), "no node twice: {owners:?}");
                }
                assert!(owned.iter().all(|count| *count == owned[0]), "{owned:?}");
            }
        }
    }

    #[test]
    fn the_walk_starts_at_the_index_and_goes_round() {
        let nodes = nodes(&[4, 5, 9]);
        assert_eq!(ids(&owners(&nodes, 2, 0, 0)), [4, 5]);
        assert_eq!(ids(&owners(&nodes, 2, 0, 1)), [9, 4]);
        assert_eq!(ids(&owners(&nodes, 2, 0, 2)), [5, 9]);
        assert_eq!(ids(&owners(&nodes, 2, 5, 0)), [9, 4]);
        assert_eq!(ids(&owners(&nodes, 7, 1, 0)), [5, 9, 4]);
    }

    #[test]
    fn automatic_copies_follow_the_number_of_nodes() {
        assert_eq!([0, 1, 2, 3, 4, 9].map(auto_replica_n), [1, 1, 2, 3, 2, 2]);
    }
}

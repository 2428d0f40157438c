//! Numbers that name things. They are given out by the metadata service, grow, and are never used again.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A member of the cluster, meta or data or both. From 1 on.
    NodeId
);
id!(
    /// A shard: the series of one shard group that share owners. From 1 on.
    ShardId
);
id!(
    /// A shard group: a span of time of one retention policy. From 1 on.
    ShardGroupId
);
id!(
    /// The Raft index of the last change in a version of the metadata. Grows with every change; 0 is "none yet".
    MetaIndex
);

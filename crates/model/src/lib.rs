//! The nouns: point, tag, field, series key, time range, ids.
//!
//! Every other crate speaks in these types. They hold no behaviour that belongs to one crate alone: no text formats, no
//! bytes on disk, no decisions.
//!
//! Names, tag values and string fields are bytes, because line protocol takes any bytes; they are nearly always UTF-8
//! and become text only where an answer is encoded.

pub mod batch;
pub mod column;
pub mod consistency;
pub mod fuzzing;
pub mod id;
pub mod pattern;
pub mod result;
pub mod series_key;
pub mod stamp;
pub mod tag_filter;
pub mod time;
pub mod value;

pub use batch::{Batch, FieldColumn, KeyList, Point, Table};
pub use column::{Column, ColumnData, StringColumn};
pub use consistency::ConsistencyLevel;
pub use id::{MetaIndex, NodeId, ShardGroupId, ShardId};
pub use pattern::{Pattern, PatternError};
pub use series_key::{SeriesKey, Tags};
pub use stamp::Stamp;
pub use tag_filter::{TagFilter, TagTest};
pub use time::{Precision, TimeRange, Timestamp};
pub use value::{FieldType, FieldValue};

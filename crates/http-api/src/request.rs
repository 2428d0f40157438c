//! What a request says: parameters and body, read within limits.

pub(crate) mod body;
pub(crate) mod fields;
pub(crate) mod gunzip;
pub(crate) mod multipart;

pub(crate) use body::{BodyError, read_body};
pub(crate) use fields::Fields;

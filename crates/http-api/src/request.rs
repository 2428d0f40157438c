//! What a request says: parameters and body, read within limits.

pub(crate) mod body;
pub(crate) mod gunzip;
pub(crate) mod multipart;

pub(crate) use body::{BodyError, read_body};
pub(crate) use stdx::form::Fields;

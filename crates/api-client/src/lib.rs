//! HTTP client for our own APIs.

//! A segmented, checksummed append log.

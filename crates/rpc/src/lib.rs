//! Carries wire messages over gRPC.

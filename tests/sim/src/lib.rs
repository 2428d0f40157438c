//! A whole cluster in one process, driven by a seed.

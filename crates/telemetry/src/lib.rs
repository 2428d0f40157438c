//! Log setup and the metric registry.

//! The nouns: point, tag, field, series key, time range, ids.

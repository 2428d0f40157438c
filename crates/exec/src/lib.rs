//! Runs plan operators over rows, merges partial states, finishes the result.

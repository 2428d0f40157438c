//! Files, environment and flags to plain Config structs.

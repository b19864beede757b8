//! Children that never outlive this process.

//! MoQ.

//! The replicated data: feeds, value in force, deltas, sums

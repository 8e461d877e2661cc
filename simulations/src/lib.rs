//! The deterministic world that runs the core through faults

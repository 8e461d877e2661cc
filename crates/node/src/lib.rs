//! The sans-IO state machine: everything one agent decides

//! Frames to bytes and back, under hard limits

//! tokio and quinn driver, disk, configuration

pub mod disk;
pub mod transport;

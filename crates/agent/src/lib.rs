//! tokio and quinn driver, disk, configuration

pub mod transport;

//! tokio and quinn driver, disk, configuration

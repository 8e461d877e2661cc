//! Health-check runners: TTL, HTTP, TCP

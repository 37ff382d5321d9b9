//! The services in one process, over loopback.

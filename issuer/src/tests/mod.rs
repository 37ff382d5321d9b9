//! The services in one process, over loopback, on a real store.

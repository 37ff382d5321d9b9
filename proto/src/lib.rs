//! Generated code for the `.proto` files of Carnet.
//!
//! The programs convert between these messages and the domain types.
// The generated code is documented by the comments in the .proto files.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::arithmetic_side_effects)]

/// Package `carnet.issuer.v1`.
pub mod issuer {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("carnet.issuer.v1");

        /// Encoded `FileDescriptorSet` of this package and its imports, for server reflection.
        pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/issuer.bin"));
    }
}

/// Package `carnet.verifier.v1`.
pub mod verifier {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("carnet.verifier.v1");

        /// Encoded `FileDescriptorSet` of this package and its imports, for server reflection.
        pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/verifier.bin"));
    }
}

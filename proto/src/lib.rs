//! The wire: code made from the `.proto` files of Carnet, and nothing else.
//!
//! Conversions from and to the domain live with the programs.
// The generated code is documented by the comments in the .proto files.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::arithmetic_side_effects)]

/// `carnet.issuer.v1`.
pub mod issuer {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("carnet.issuer.v1");

        /// The encoded `FileDescriptorSet` of this package and what it imports, for server reflection.
        pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/issuer.bin"));
    }
}

/// `carnet.verifier.v1`.
pub mod verifier {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("carnet.verifier.v1");

        /// The encoded `FileDescriptorSet` of this package and what it imports, for server reflection.
        pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/verifier.bin"));
    }
}

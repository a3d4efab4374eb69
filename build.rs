//! What is made before the compiler runs: Rust out of the protocol's description. No `protoc` is
//! needed; protox is one, written in Rust.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    protocol()
}

/// `proto/` to the structs of `wire::pb` (prost) and their proto3 JSON (pbjson), both out of one
/// descriptor set, so that the two formats cannot drift apart.
fn protocol() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=proto");
    // pbjson-types writes a Timestamp as `+00:00` where the proto3 JSON mapping demands `Z`.
    const TIMESTAMP: (&str, &str) = (".google.protobuf.Timestamp", "crate::wire::time::Timestamp");

    let set = protox::compile(["kith/v1/client.proto"], ["proto"])?;
    // The set travels as bytes: the two generators may stand on different versions of prost-types.
    let bytes = protox::prost::Message::encode_to_vec(&set);
    prost_build::Config::new()
        .extern_path(TIMESTAMP.0, TIMESTAMP.1)
        .compile_fds(set)?;
    pbjson_build::Builder::new()
        .out_dir(PathBuf::from(std::env::var("OUT_DIR")?))
        .register_descriptors(&bytes)?
        .extern_path(TIMESTAMP.0, TIMESTAMP.1)
        .build(&[".kith"])?;
    Ok(())
}

//! What is made before the compiler runs: Rust out of the protocol's description, and a table of
//! the page's files, compressed. No `protoc` is needed; protox is one, written in Rust.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    protocol()?;
    page()?;
    Ok(())
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
        .out_dir(PathBuf::from(env::var("OUT_DIR")?))
        .register_descriptors(&bytes)?
        .extern_path(TIMESTAMP.0, TIMESTAMP.1)
        .build(&[".kith"])?;
    Ok(())
}

/// Walks `src/page/` and writes the table that `src/page.rs` includes: for each file its path, its
/// bytes, the same compressed, and a tag that changes with the bytes. The tag is a weak one, for it
/// stands for both.
fn page() -> io::Result<()> {
    let root = Path::new("src/page");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // A folder here means: whenever anything in it changes.
    println!("cargo::rerun-if-changed=src/page");
    let mut files = Vec::new();
    page_files(root, &mut files)?;
    files.sort();
    let mut table = String::from("&[\n");
    for (number, file) in files.iter().enumerate() {
        let bytes = fs::read(file)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&bytes)?;
        let gzip = gzip.finish()?;
        // What gets no smaller is served as it is.
        let smaller = gzip.len() < bytes.len();
        if smaller {
            fs::write(out.join(format!("page-{number}.gz")), &gzip)?;
        }
        let path = page_path(root, file);
        let body = file.canonicalize()?;
        let compressed = if smaller {
            format!("Some(include_bytes!(concat!(env!(\"OUT_DIR\"), \"/page-{number}.gz\")))")
        } else {
            "None".to_owned()
        };
        let hash = Sha256::digest(&bytes);
        let tag: String = hash[..12].iter().map(|b| format!("{b:02x}")).collect();
        writeln!(
            table,
            "Asset {{ path: {path:?}, content_type: {:?}, body: include_bytes!({body:?}), \
             gzip: {compressed}, etag: {:?} }},",
            page_type(&path),
            format!("W/\"{tag}\""),
        )
        .map_err(io::Error::other)?;
    }
    table.push(']');
    fs::write(out.join("page.rs"), table)
}

fn page_files(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            page_files(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Where the browser finds it: `/` is the document, everything else has its own name.
fn page_path(root: &Path, file: &Path) -> String {
    let name = file.strip_prefix(root).unwrap_or(file);
    let parts: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
    match parts.join("/").as_str() {
        "index.html" => "/".to_owned(),
        name => format!("/{name}"),
    }
}

/// A kind of file without a type here stops the build: a browser would be left to guess.
fn page_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "/" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "webmanifest" => "application/manifest+json",
        _ => panic!("{path}: name the type of this kind of file in build.rs"),
    }
}

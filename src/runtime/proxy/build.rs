//! Compiles the wire API of `../proto/` without a `protoc` binary: messages and clients for the
//! proxy, and, apart, messages and servers for the fake control plane of the tests
//! (`include!(concat!(env!("OUT_DIR"), "/servers/pb.rs"))`).

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let protos = PathBuf::from("../proto");
    let mut files = Vec::new();
    // The published API, and additions of ours.
    for folder in ["io/linkerd/proxy", "mesh/identity/v1"] {
        let folder = protos.join(folder);
        println!("cargo:rerun-if-changed={}", folder.display());
        for entry in fs::read_dir(&folder)? {
            files.push(entry?.path());
        }
    }
    files.retain(|path| path.extension().is_some_and(|ext| ext == "proto"));
    files.sort();

    for file in &files {
        println!("cargo:rerun-if-changed={}", file.display());
    }

    let descriptors = protox::compile(&files, [&protos])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let servers = out.join("servers");
    fs::create_dir_all(&servers)?;
    tonic_prost_build::configure()
        .build_transport(false)
        .build_server(false)
        .include_file("pb.rs")
        .out_dir(&out)
        .compile_fds(descriptors.clone())?;
    tonic_prost_build::configure()
        .build_transport(false)
        .build_client(false)
        .include_file("pb.rs")
        .out_dir(&servers)
        .compile_fds(descriptors)?;
    Ok(())
}

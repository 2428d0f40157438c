//! Compiles the service of the peers without an external compiler; its messages live in `wire`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["../wire/proto/peer.proto"], ["../wire/proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .extern_path(".mainstem.peer.v1", "::wire::v1")
        .build_transport(false)
        .compile_fds(files)?;
    println!("cargo:rerun-if-changed=../wire/proto");
    Ok(())
}

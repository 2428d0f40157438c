//! Compiles the messages without an external compiler.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["proto/peer.proto"], ["proto"])?;
    prost_build::Config::new().bytes(["."]).compile_fds(files)?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}

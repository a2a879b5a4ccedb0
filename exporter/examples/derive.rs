//! scratch
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let plan = offramp_exporter::plan::plan(
        std::path::Path::new(&a[1]),
        &offramp_exporter::plan::PlanOptions {
            exits: offramp_exporter::exits::Choice { single: a.len() > 3, ..Default::default() },
            ..Default::default()
        },
    )
    .unwrap();
    match offramp_exporter::gradient::derive(&plan) {
        Ok(g) => {
            g.forward.write(format!("{}.f.onnx", a[2])).unwrap();
            g.backward.write(format!("{}.b.onnx", a[2])).unwrap();
        }
        Err(e) => {
            println!("{}: {e}", a[1]);
            std::process::exit(1)
        }
    }
}

//! Writes the first inputs of a target into a folder: `sidering-fuzz-seeds TARGET FOLDER`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, folder] = arguments.as_slice() else { return ExitCode::from(2) };
    for (index, seed) in sidering_fuzz::seeds::seeds(target).iter().enumerate() {
        if std::fs::write(Path::new(folder).join(format!("seed-{index:04}")), seed).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

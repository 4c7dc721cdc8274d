//! Every input in the repository, through every target, in little memory.

use std::time::Instant;

use klstore_fuzz::{TARGETS, corpus};

#[test]
fn every_input_of_every_corpus() {
    for target in TARGETS {
        #[expect(clippy::disallowed_methods, reason = "how long it took is only shown")]
        let began = Instant::now();
        let inputs = corpus::inputs(target.name).expect("the target has a corpus");
        assert!(inputs.len() >= 5, "the corpus of {} has {} inputs", target.name, inputs.len());
        for (name, input) in &inputs {
            if std::panic::catch_unwind(|| (target.run)(input)).is_err() {
                panic!("{name} fails; script/fuzz --help says how to look at it alone");
            }
        }
        println!("  {}: {} inputs, {} ms", target.name, inputs.len(), began.elapsed().as_millis());
    }
}

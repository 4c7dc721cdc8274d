//! The model comes across the situations that its statements are about.

use klstore_protocol_model::Violation;
use klstore_protocol_model::check::shortest;
use klstore_protocol_model::scenarios::landmarks;

#[test]
fn every_landmark_is_reached() {
    for (landmark, bounds) in landmarks() {
        let outcome = shortest(bounds.towards(landmark));
        let Some((found, steps)) = outcome.violation else {
            panic!("{landmark:?} is not reached in {} states", outcome.states);
        };
        println!("{landmark:?}: {} steps, {} states", steps.len(), outcome.states);
        assert_eq!(found, Violation::Landmark, "{landmark:?}: {steps:#?}");
    }
}

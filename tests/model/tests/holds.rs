//! x
use klstore_protocol_model::bounds::*;
use klstore_protocol_model::check::*;
use klstore_protocol_model::Rule::*;
fn run(name: &str, b: Bounds) {
    let t = std::time::Instant::now();
    let o = shortest(b);
    println!("{name}: {} states depth {} {:?} {}", o.states, o.depth, t.elapsed(), match &o.violation { Some((n,p)) => format!("{} steps: {n}", p.len()), None => "none".into() });
    if std::env::var("SHOW").is_ok() { if let Some((_, p)) = &o.violation { for a in p { println!("   {a:?}"); } } }
}
#[test]
fn mutants() {
    let b = Bounds::default();
    let c1 = Bounds { compactions: [1, 1], ..b.clone() };
    let t1 = Bounds { timeouts: 1, ..b.clone() };
    let c1t1 = Bounds { timeouts: 1, ..c1.clone() };
    let c41 = Bounds { puts: [4, 1], compactions: [1, 0], ..b.clone() };
    let c41 = Bounds { puts: [4, 1], compactions: [1, 0], ..b.clone() };
    let list: Vec<(klstore_protocol_model::Rule, Bounds)> = vec![
        (StubDroppedHandover, Bounds { complete: Choice::Always, merges: Choice::Always, compactions: [2,0], puts: [4,2], ..c1.clone() }),
        (FollowSameSession, Bounds { follower: true, ..c41.clone() }),
        (TokenIdentity, Bounds { token: true, ..c41.clone() }),
        (CarryAcknowledged, Bounds { carry: true, abandonments: 1, ..b.clone() }),
        (LoadComparesEtag, Bounds { reader: true, two_step_load: TwoStepLoad { reader: true, ..TwoStepLoad::default() }, ..c41.clone() }),
        (ResolveMissingPage, Bounds { puts: [3,3], compactions: [2,0], ..c1.clone() }),
        (ReadMatchesIndex, Bounds { reader: true, complete: Choice::Always, merges: Choice::Always, puts: [5, 1], compactions: [2, 0], ..c41.clone() }),
    ];
    for (r, b) in list { run(&format!("{r:?}"), b.without(r)); }
}

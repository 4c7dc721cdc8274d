//! The writer in the orders in which threads may come (docs/RELIABILITY.md, 'Concurrency').

use klstore_interleavings::scenarios::{batching, closing, s3};
use klstore_interleavings::{Care, explore, orders_until_missed};

macro_rules! explored {
    ($($module:ident::$scenario:ident),+ $(,)?) => {
        $(
            #[test]
            fn $scenario() {
                explore($module::$scenario);
            }
        )+
    };
}

explored! {
    batching::callers_share_a_small_budget,
    batching::room_comes_while_a_caller_begins_to_wait,
    batching::batches_are_sent_because_memory_is_short,
    batching::a_flush_waits_for_what_came_before,
    batching::statistics_tell_of_what_callers_were_told,
    batching::whoever_gives_up_holds_up_nobody,
    batching::callers_give_up_anywhere,
    batching::failing_appends_are_made_again,
    batching::a_discard_races_with_appends,
    batching::calls_drive_a_lane_together,
    batching::one_duty_cycle_at_a_time,
    closing::a_close_races_with_appends,
    closing::a_close_races_with_appends_for_places,
    closing::the_last_clone_is_dropped_with_open_receipts,
    closing::lanes_end_while_others_ask,
    s3::sessions_are_dropped_while_keys_are_used,
    s3::commits_in_doubt_are_taken_up_again,
}

/// Each precaution is there for an order that the scenario finds; the same orders in each run, so that it is found.
#[test]
fn what_is_left_out_is_missed() {
    let missed: [(Care, fn()); 8] = [
        (Care::ReleaseServes, batching::callers_share_a_small_budget),
        (Care::QueueLooksAgain, batching::room_comes_while_a_caller_begins_to_wait),
        (Care::LanesHear, batching::batches_are_sent_because_memory_is_short),
        (Care::LeavingServes, batching::whoever_gives_up_holds_up_nobody),
        (Care::CountedBeforeTold, batching::statistics_tell_of_what_callers_were_told),
        (Care::OneDutyCycle, batching::one_duty_cycle_at_a_time),
        (Care::OpenUntilSent, closing::a_close_races_with_appends),
        (Care::UsedKeysStay, s3::sessions_are_dropped_while_keys_are_used),
    ];
    for (care, scenario) in missed {
        let orders = orders_until_missed(care, scenario);
        println!("without {care:?}: {orders:?} orders");
        assert!(orders.is_some(), "nobody misses {care:?}");
    }
}

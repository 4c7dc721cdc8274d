use super::*;

fn seen(status: u16, body: &str) -> Seen {
    Seen { status, body: body.as_bytes().to_vec(), ..Seen::default() }
}

fn racer(number: u32, statuses: &[u16]) -> Racer {
    Racer { number, answers: statuses.iter().map(|&status| seen(status, "")).collect() }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn listed(of: &[&str]) -> SeenList {
    SeenList { seen: seen(200, ""), names: names(of), ..SeenList::default() }
}

#[test]
fn a_race_has_one_winner_whose_object_it_is() {
    let round = |racers, content| Round { racers, content: seen(200, content) };
    let judge = |racers: Vec<Racer>, content| judge_round(&round(racers, content)).map_err(|reason| reason.len() > 5);
    assert_eq!(judge(vec![racer(0, &[412]), racer(1, &[200])], "racer 1"), Ok(()));
    assert_eq!(judge(vec![racer(0, &[409, 503, 200]), racer(1, &[409, 412])], "racer 0"), Ok(()));
    // Its first attempt was lost, and took effect.
    assert_eq!(judge(vec![racer(0, &[0, 412]), racer(1, &[412])], "racer 0"), Ok(()));
    for (racers, content) in [
        (vec![racer(0, &[200]), racer(1, &[200])], "racer 0"),
        (vec![racer(0, &[200]), racer(1, &[412])], "racer 1"),
        (vec![racer(0, &[412]), racer(1, &[412])], "racer 1"),
        (vec![racer(0, &[409, 412]), racer(1, &[412])], "racer 0"),
        (vec![racer(0, &[200]), racer(1, &[400])], "racer 0"),
        (vec![racer(0, &[503, 503]), racer(1, &[412])], "racer 0"),
    ] {
        assert_eq!(judge(racers, content), Err(true));
    }
}

#[test]
fn the_order_is_that_of_bytes() {
    let expected = names(&["A", "a", "b"]);
    let first = listed(&["A"]);
    let judge = |all: &[&str], newest: &SeenList, pages: &[&[&str]]| {
        let pages: Vec<SeenList> = pages.iter().map(|page| listed(page)).collect();
        list_order(&expected, &listed(all), newest, &pages)
    };
    assert_eq!(judge(&["A", "a", "b"], &first, &[&["A", "a"], &[], &["b"]]).verdict, Verdict::Pass);
    let wrong = judge(&["a", "A", "b"], &first, &[]);
    assert_eq!(wrong.verdict, Verdict::Fail);
    assert!(wrong.detail.contains("`a` stands where `A` should"), "{}", wrong.detail);
    assert!(judge(&["A", "b"], &first, &[]).detail.starts_with("2 names are listed"));
    assert!(judge(&["A", "a", "b"], &listed(&["b"]), &[]).detail.starts_with("max-keys=1"));
    assert!(judge(&["A", "a", "b"], &first, &[&["A"], &["b"]]).detail.starts_with("page by page"));
}

#[test]
fn etags_are_compared_without_quotes_and_have_to_change() {
    let tags = |put: &str, got: &str, listed: &str| {
        let some = |tag: &str| (!tag.is_empty()).then(|| tag.to_owned());
        Etags { put: some(put), got: some(got), listed: some(listed) }
    };
    let first = tags("\"a\"", "\"a\"", "\"a\"");
    assert_eq!(etags(&[first.clone(), tags("b", "W/\"b\"", "\"b\"")]).detail.rsplit_once(' ').unwrap().1, "(weak)");
    assert_eq!(etags(&[first.clone(), tags("", "\"b\"", "b")]).verdict, Verdict::Pass);
    for wrong in [tags("\"a\"", "\"a\"", "\"a\""), tags("b", "b", "c"), tags("c", "b", "b"), tags("b", "", "b")] {
        assert_eq!(etags(&[first.clone(), wrong]).verdict, Verdict::Fail);
    }
}

#[test]
fn a_range_is_the_bytes_asked_for() {
    let part = |first: usize, last: usize, body: &str| {
        let headers = [("content-range".to_owned(), format!("bytes {first}-{last}/10"))].into();
        Seen { headers, ..seen(206, body) }
    };
    let judge = |range, seen| ranges(b"0123456789", &[(range, seen)]).verdict;
    assert_eq!(judge((2, 3), part(2, 3, "23")), Verdict::Pass);
    assert_eq!(judge((8, 12), part(8, 9, "89")), Verdict::Pass);
    assert_eq!(judge((10, 12), seen(416, "")), Verdict::Pass);
    assert_eq!(judge((2, 3), seen(200, "0123456789")), Verdict::Fail);
    assert_eq!(judge((2, 3), part(2, 3, "2")), Verdict::Fail);
    assert_eq!(judge((2, 3), part(0, 1, "23")), Verdict::Fail);
    assert_eq!(judge((10, 12), seen(200, "")), Verdict::Fail);
}

#[test]
fn the_clock_may_be_a_little_wrong() {
    let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    let judge = |date| clock(date, now);
    assert_eq!(judge(Some("Mon, 23 Nov 2026 11:59:57 GMT")).verdict, Verdict::Pass);
    let warned = judge(Some("Mon, 23 Nov 2026 11:58:00 GMT"));
    assert_eq!((warned.verdict, warned.detail.contains("120 s ahead of")), (Verdict::Warn, true));
    assert_eq!(judge(Some("Mon, 23 Nov 2026 13:00:00 GMT")).verdict, Verdict::Fail);
    assert_eq!(judge(Some("today")).verdict, Verdict::Info);
    assert_eq!(judge(None).verdict, Verdict::Info);
}

#[test]
fn what_is_out_of_date_is_told() {
    let sizes = |sizes: &[i64]| SeenList { seen: seen(200, ""), sizes: sizes.to_vec(), ..SeenList::default() };
    assert_eq!(out_of_date(b"abc", &seen(200, ""), &seen(200, "abc"), &sizes(&[3])), None);
    for (got, list) in [(seen(200, "old"), sizes(&[3])), (seen(404, ""), sizes(&[3])), (seen(200, "abc"), sizes(&[]))] {
        assert!(out_of_date(b"abc", &seen(200, ""), &got, &list).is_some());
    }
    assert_eq!(not_deleted(&seen(204, ""), &seen(404, ""), &listed(&[])), None);
    assert!(not_deleted(&seen(204, ""), &seen(200, "abc"), &listed(&[])).is_some());
    assert!(not_deleted(&seen(204, ""), &seen(404, ""), &listed(&["x"])).is_some());
    assert!(consistency(1, vec!["x".to_owned(); 5]).detail.ends_with("x; x; x; and 2 more"));
}

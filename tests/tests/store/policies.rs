//! docs/policies holds the policies that docs/S3.md shows, each of them JSON.

#[test]
fn the_policies_of_the_page_are_the_files() {
    let page = include_str!("../../../docs/S3.md");
    let shown: Vec<&str> = page
        .split("```json\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .filter(|block| block.contains("\"Statement\""))
        .collect();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policies");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(shown.contains(&&*text), "docs/S3.md does not show {}", path.display());
        files += 1;
    }
    assert_eq!(files, shown.len());
}

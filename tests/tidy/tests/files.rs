//! Every file keeps every rule, or says why not.

use shoal_tidy::{RULES, workspace_sources};

#[test]
fn every_file_keeps_every_rule() {
    let sources = workspace_sources();
    assert!(sources.len() > 20, "only {} files were found", sources.len());
    let mut complaints = Vec::new();
    for source in sources.iter().filter(|source| !source.path.starts_with("tests/tidy")) {
        for rule in RULES.iter().filter(|rule| !source.excepts(rule.name)) {
            let found = (rule.check)(source);
            complaints
                .extend(found.into_iter().map(|what| format!("{}: {what} [{}]", source.path.display(), rule.name)));
        }
    }
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

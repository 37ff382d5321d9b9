use super::*;
use crate::ui::messages::LocalizedMessages;

fn screens(language: Language, columns: Option<usize>) -> String {
    let mut ui = Ui::new(false, true, language);
    ui.columns = columns;
    let menu = |title: &str, labels: &[String]| menu_text(&ui, &ui.messages.text(title), labels, "menu-end");
    format!("{}{}", menu("menu-title-new", &first_labels(&ui)), menu("menu-title", &labels(&ui, &ENTRIES)))
}

/// The complete screens, word for word. To change them on purpose, run with UPDATE_SCREENS=1 and review the diff.
#[test]
fn the_menu_in_every_language() {
    for language in Language::ALL {
        let file = format!("{}/tests/screens/menu.{}.txt", env!("CARGO_MANIFEST_DIR"), language.tag());
        let screen = screens(language, None);
        if std::env::var_os("UPDATE_SCREENS").is_some() {
            std::fs::write(&file, &screen).unwrap();
        }
        assert_eq!(screen, std::fs::read_to_string(&file).unwrap(), "{file}");
    }
}

#[test]
fn the_menu_fits_forty_columns_and_has_no_control_characters() {
    for language in Language::ALL {
        let text = screens(language, Some(40));
        assert!(text.lines().all(|line| carnet_console::width(line) <= 40), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains("menu-"), "{text:?}");
        for number in 0..=ENTRIES.len() {
            assert!(text.lines().any(|line| line.starts_with(&format!("{number}  "))), "{number}: {text}");
        }
    }
}

#[test]
fn the_menu_has_no_text_of_its_own_from_right_to_left() {
    let mut ui = Ui::new(false, true, Language::En);
    (ui.messages, ui.columns) = (LocalizedMessages::pseudo(), Some(40));
    let labels = labels(&ui, &ENTRIES);
    let text = menu_text(&ui, &ui.messages.text("menu-title"), &labels, "menu-end");
    assert!(!text.chars().any(|c| c.is_ascii_alphabetic()), "{text}");
    assert!(text.lines().all(|line| carnet_console::width(line) <= 40), "{text}");
}

#[test]
fn a_backup_gets_a_name_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let first = backup_file(home.path(), "2026-11-30T10:00:00Z");
    assert!(first.ends_with("carnet-backup-2026-11-30.age"));
    std::fs::write(&first, "x").unwrap();
    assert!(backup_file(home.path(), "2026-11-30T10:00:00Z").ends_with("carnet-backup-2026-11-30-2.age"));
}

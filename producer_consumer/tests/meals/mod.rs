//! What a transcript tells of the items.

use std::collections::BTreeMap;

pub(crate) const PRODUCERS: [(&str, &str); 3] = [("egon", "bun"), ("yang", "soup"), ("monkey", "noodles")];
pub(crate) const CONSUMERS: [&str; 2] = ["alex", "wupeiqi"];

/// For each item that was produced, who ate it: one after the other, if it was more than one.
pub(crate) type Meals = BTreeMap<String, Vec<String>>;

/// Each producer makes its own food, in order and each item once, and nothing is eaten that was not produced
/// before. Panics where that is not so.
#[track_caller]
pub(crate) fn meals(lines: &[String]) -> Meals {
    let mut meals = Meals::new();
    let mut made = BTreeMap::new();
    for line in lines {
        match line.split(' ').collect::<Vec<_>>()[..] {
            [name, "produced", item] => {
                let food = PRODUCERS.iter().find(|(who, _)| *who == name).expect(line).1;
                let count = made.entry(food).or_insert(0);
                assert_eq!(*item, format!("{food}{count}"), "{name} is out of order");
                *count += 1;
                meals.insert(item.to_owned(), Vec::new());
            }
            [name, "ate", item] => {
                assert!(CONSUMERS.contains(&name), "{line}");
                let eaters = meals.get_mut(item).unwrap_or_else(|| panic!("{line}, but it was not produced"));
                eaters.push(name.to_owned());
            }
            _ => panic!("{line:?} is no line of this story"),
        }
    }
    meals
}

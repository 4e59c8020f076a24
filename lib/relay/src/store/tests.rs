use super::*;

fn line(service: u64, number: u64, at: u64, rest: &str) -> Change {
    let value = format!(r#"{{"at":{at},"service":{service},"number":{number},{rest}}}"#);
    Change { key: RecordKey::Log(ServiceId(service), number), value: Some(Zeroizing::new(value.into_bytes())) }
}

fn places(store: &RelayStore, filter: &LogFilter) -> Vec<(u64, u64)> {
    let mut places: Vec<(u64, u64)> = Vec::new();
    loop {
        let after = places.last().copied().unwrap_or_default();
        let page = store.log(filter, after, 2).unwrap();
        if page.is_empty() {
            return places;
        }
        places.extend(page.iter().map(|line| line.place));
    }
}

#[tokio::test]
async fn records_are_replaced_and_deleted_and_lines_are_found_by_group() {
    let folder = tempfile::tempdir().unwrap();
    let store = RelayStore::open(&folder.path().join("relay.sqlite")).unwrap();
    let key = RecordKey::Service(ServiceId(1));
    let value = |text: &str| Some(Zeroizing::new(text.as_bytes().to_vec()));
    store.commit(vec![Change { key, value: value("one") }]).await.unwrap();
    store.commit(vec![Change { key, value: value("two") }]).await.unwrap();
    assert_eq!(store.load().unwrap(), [(key, value("two").unwrap())]);
    store.commit(vec![Change { key, value: None }]).await.unwrap();
    assert!(store.load().unwrap().is_empty());

    let group = GroupId::from_bytes(&[7; 32]).unwrap();
    let link = format!("https://smp.example.org/c#{group}");
    let lines = vec![
        line(1, 1, 100, &format!(r#""event":"invited","group_link":"{link}""#)),
        line(1, 2, 200, &format!(r#""event":"group_read","group_id":"{group}""#)),
        line(1, 3, 300, r#""event":"replayed""#),
        line(2, 1, 400, r#""event":"invited","group_link":"no link""#),
    ];
    store.commit(lines).await.unwrap();
    assert_eq!(places(&store, &LogFilter::All), [(1, 1), (1, 2), (1, 3), (2, 1)]);
    assert_eq!(places(&store, &LogFilter::Service(ServiceId(2))), [(2, 1)]);
    let one = [(1, 1), (1, 2), (1, 3)];
    assert_eq!(places(&store, &LogFilter::Group(group)), one);
    assert_eq!(places(&store, &LogFilter::Link(link.parse().unwrap())), one);
    let other = GroupId::from_bytes(&[8; 32]).unwrap();
    assert!(places(&store, &LogFilter::Group(other)).is_empty());

    store.trim_log(250).await.unwrap();
    assert_eq!(places(&store, &LogFilter::All), [(1, 3), (2, 1)]);
}

#[tokio::test]
async fn a_service_with_too_many_lines_loses_the_oldest() {
    let folder = tempfile::tempdir().unwrap();
    let store = RelayStore::open(&folder.path().join("relay.sqlite")).unwrap();
    let lines = (1..=LINES_PER_SERVICE.unsigned_abs() + 5).map(|number| line(1, number, 1, r#""event":"replayed""#));
    let lines = lines.chain([line(2, 1, 1, r#""event":"replayed""#)]).collect();
    store.commit(lines).await.unwrap();
    store.trim_log(0).await.unwrap();
    let first = store.log(&LogFilter::All, (0, 0), 1).unwrap();
    assert_eq!(first[0].place, (1, 6));
    assert_eq!(store.log(&LogFilter::Service(ServiceId(2)), (0, 0), 10).unwrap().len(), 1);
}

#[tokio::test]
async fn the_oldest_lines_go_when_there_are_too_many_in_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = RelayStore::open(&folder.path().join("relay.sqlite")).unwrap();
    let lines = (1..=30).map(|number| line(number, 1, number, r#""event":"replayed""#));
    store.commit(lines.collect()).await.unwrap();
    store.trim_log_to(0, 10).await.unwrap();
    assert_eq!(places(&store, &LogFilter::All).len(), 11);
    assert_eq!(store.log(&LogFilter::All, (0, 0), 1).unwrap()[0].place, (20, 1));
    store.trim_log_to(0, 11).await.unwrap();
    assert_eq!(places(&store, &LogFilter::All).len(), 11);
}

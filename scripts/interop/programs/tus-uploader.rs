// Usage: tus-uploader <endpoint> <file>. Resumes by the library's own retries.
use std::{collections::HashMap, env, fs, time::Duration};

use tus_uploader::Client;
use url::Url;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [endpoint, path] = env::args().skip(1).collect::<Vec<_>>().try_into().expect("two arguments");
    let metadata = HashMap::from([("filename".to_string(), "file.bin".to_string())]);
    let client = Client::new(Url::parse(&endpoint)?).with_retry_delay(Duration::from_secs(1));
    client.upload_from(fs::read(path)?, &metadata).await?;
    Ok(())
}

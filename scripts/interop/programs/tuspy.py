# Usage: python tuspy.py <endpoint> <file>. Resumes by the library's own retries.
import sys

from tusclient.client import TusClient

endpoint, path = sys.argv[1:]
uploader = TusClient(endpoint).uploader(
    path, chunk_size=4 * 1024 * 1024, metadata={"filename": "file.bin"}, retries=5, retry_delay=1
)
uploader.upload()

// Usage: java TusJavaClient.java <endpoint> <file>. Resumes by the library's own attempts.
import io.tus.java.client.ProtocolException;
import io.tus.java.client.TusClient;
import io.tus.java.client.TusExecutor;
import io.tus.java.client.TusURLMemoryStore;
import io.tus.java.client.TusUpload;
import io.tus.java.client.TusUploader;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.util.Map;

public class TusJavaClient {
  public static void main(String[] args) throws Exception {
    TusClient client = new TusClient();
    client.setUploadCreationURL(URI.create(args[0]).toURL());
    client.enableResuming(new TusURLMemoryStore());
    TusUpload upload = new TusUpload(new File(args[1]));
    upload.setMetadata(Map.of("filename", "file.bin"));
    TusExecutor executor = new TusExecutor() {
      @Override
      protected void makeAttempt() throws ProtocolException, IOException {
        TusUploader uploader = client.resumeOrCreateUpload(upload);
        uploader.setChunkSize(64 * 1024);
        while (uploader.uploadChunk() > -1) {
          // The next chunk.
        }
        uploader.finish();
      }
    };
    if (!executor.makeAttempts()) throw new IOException("no attempt succeeded");
  }
}

// Usage: tusgo <endpoint> <file>. Asks for the offset and goes on after each failure, as the library's documentation shows.
package main

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/bdragon300/tusgo"
)

func main() {
	endpoint, err := url.Parse(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	file, err := os.Open(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		log.Fatal(err)
	}
	client := tusgo.NewClient(http.DefaultClient, endpoint)
	if _, err = client.UpdateCapabilities(); err != nil {
		log.Fatal(err)
	}
	upload := tusgo.Upload{}
	if _, err = client.CreateUpload(&upload, info.Size(), false, map[string]string{"filename": "file.bin"}); err != nil {
		log.Fatal(err)
	}
	stream := tusgo.NewUploadStream(client, &upload)
	for attempt := 0; ; attempt++ {
		if err = send(stream, file); err == nil {
			return
		}
		var failed net.Error
		if attempt == 5 || !(errors.As(err, &failed) || errors.Is(err, tusgo.ErrChecksumMismatch) || errors.Is(err, io.EOF)) {
			log.Fatal(err)
		}
		time.Sleep(time.Second)
	}
}

func send(stream *tusgo.UploadStream, file *os.File) error {
	if _, err := stream.Sync(); err != nil {
		return err
	}
	if _, err := file.Seek(stream.Tell(), io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(stream, file)
	return err
}

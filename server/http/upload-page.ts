/** A form that sends one file without any script. */

export function uploadPage(): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tidemark</title>
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
  body { max-width: 32rem; margin: 4rem auto; padding: 0 1rem; }
  button { font: inherit; padding: .4rem 1.2rem; }
  input { font: inherit; display: block; margin: 1rem 0; max-width: 100%; }
  p { opacity: .75; }
</style>
</head>
<body>
<h1>Tidemark</h1>
<form action="upload" method="post" enctype="multipart/form-data">
  <label>File <span lang="zh">· 文件</span><input type="file" name="file" required></label>
  <button>Upload <span lang="zh">· 上传</span></button>
</form>
<p>Large files over bad lines: <code>npx tidemark upload FILE</code> resumes what was interrupted.</p>
<p lang="zh">网络不稳定时上传大文件：<code>npx tidemark upload 文件</code> 可断点续传。</p>
</body>
</html>
`;
}

"""The script of recorded pages: what Playwright's recorder does not report.

F8 expects what the element under the pointer shows, Shift+F8 that it is visible, and F9 hovers it. Enter in a text area
is a key where the page does something else with it than a line end. The content of chosen files is read before the page
can change the input. An element is marked with an attribute until its locator is known.
"""

BINDING = "__orchestraRecorded"
MARK = "data-orchestra-mark"
MOST_BYTES = 32 << 20
"""Of one chosen file; a bigger one is not read."""

SCRIPT = (
    """(() => {
  if (window.__orchestraRecorder) return;
  window.__orchestraRecorder = true;
  let over = null, clicked = null, clickedAt = -1, openedByClick = false, marks = 0;
  const first = (event) => event.composedPath()[0];
  const isFileInput = (node) => node && node.nodeName === 'INPUT' && node.type === 'file';
  const send = (message) => window.BINDING(message);
  const mark = (element) => {
    const name = `${Date.now()}-${marks++}`;
    element.setAttribute('MARK', name);
    return name;
  };
  const stop = (event) => { event.preventDefault(); event.stopImmediatePropagation(); };
  window.addEventListener('mousemove', (event) => { over = first(event); }, true);
  window.addEventListener('click', (event) => {
    const target = first(event);
    if (isFileInput(target)) openedByClick = clicked !== null && event.timeStamp - clickedAt < 1000;
    else if (event.isTrusted) { clicked = target; clickedAt = event.timeStamp; }
  }, true);
  window.addEventListener('mousedown', (event) => { clicked = null; }, true);
  window.addEventListener('keydown', (event) => {
    if (!event.isTrusted || (event.key !== 'F8' && event.key !== 'F9')) return;
    stop(event);
    if (!over || !over.isConnected || over.nodeType !== Node.ELEMENT_NODE) return;
    over.animate([{ outline: '3px solid #2a7' }, { outline: '3px solid transparent' }], { duration: 900 });
    send({ kind: event.key === 'F9' ? 'hover' : event.shiftKey ? 'visible' : 'shown', mark: mark(over) });
  }, true);
  window.addEventListener('keyup', (event) => { if (event.key === 'F8' || event.key === 'F9') stop(event); }, true);
  window.addEventListener('keydown', (event) => {
    const target = first(event);
    if (event.key !== 'Enter' || !event.isTrusted || !event.defaultPrevented || event.isComposing) return;
    if (target.nodeName === 'TEXTAREA' || target.isContentEditable) send({ kind: 'enter', mark: mark(target) });
  });
  window.addEventListener('input', (event) => {
    const target = first(event);
    if (target.nodeName === 'INPUT' && target.type === 'password') send({ kind: 'secret', value: target.value });
    if (!isFileInput(target) || !target.files.length) return;
    const byClick = openedByClick;
    openedByClick = false;
    const read = (file) => new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve({ name: file.name, content: reader.result.split(',')[1] || '' });
      reader.onerror = () => resolve({ name: file.name, content: null });
      if (file.size > MOST_BYTES) resolve({ name: file.name, content: null });
      else reader.readAsDataURL(file);
    });
    Promise.all([...target.files].map(read)).then((files) => send({ kind: 'files', files, byClick }));
  }, true);
})();
""".replace("BINDING", BINDING)
    .replace("MARK", MARK)
    .replace("MOST_BYTES", str(MOST_BYTES))
)

SHOWN = """(element) => {
  const checkable = element.nodeName === 'INPUT' && ['checkbox', 'radio'].includes(element.type);
  const holds = ['INPUT', 'TEXTAREA', 'SELECT'].includes(element.nodeName)
    && !['button', 'submit', 'reset', 'image', 'file'].includes(element.type);
  return {
    checked: checkable ? element.checked : null,
    value: holds && !checkable ? (element.type === 'password' ? null : element.value) : null,
    text: element.innerText || element.textContent || '',
  };
}"""
"""The state of an element, for an expectation; the content of a password field is none."""

// The page of the tests.

/** Opens it, ready to be called. */
export async function testPage(context, address) {
  const page = await context.newPage()
  page.on('console', message => console.log(`  page: ${message.text?.() ?? message}`))
  page.on('pageerror', error => console.log(`  page: ${error}`))
  await page.goto(`${address}/tests/browser/page.html`)
  await page.waitForFunction(() => !!window.tests)
  return page
}

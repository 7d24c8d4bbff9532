// Answers every POST of the bench as the event service does, and counts them. Plain HTTP on a free loopback port, without an HTTP library,
// so that it takes little of the machine. Prints its port, and for each line on its standard input the count.
import { createServer } from 'node:net'

const delayMs = Number(process.argv[2] ?? 0)
const body =
  '{"event-id":"31109198-4d69-4ae0-972d-76117f3748c8","status":"published","reason":"Message successfully published to the channel"}'
const answer = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Thu, 11 Apr 2019 08:30:00 GMT\r\nContent-Length: ${body.length}\r\n\r\n${body}`
let count = 0

const server = createServer({ noDelay: true }, (socket) => {
  let rest = ''
  socket.on('error', () => undefined)
  socket.on('data', (chunk) => {
    rest += chunk.toString('latin1')
    for (;;) {
      const end = rest.indexOf('\r\n\r\n')
      if (end < 0) return
      const length = Number(/content-length: (\d+)/i.exec(rest.slice(0, end))?.[1] ?? 0)
      if (rest.length < end + 4 + length) return
      rest = rest.slice(end + 4 + length)
      count++
      if (delayMs === 0) socket.write(answer)
      else setTimeout(() => socket.write(answer), delayMs)
    }
  })
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('data', () => console.log(count))
process.stdin.on('end', () => process.exit())

// Agrona's generator, and codecs made by the SBE tool from our schema: a line in, a line out.
//   ids NODE NODE_BITS SEQUENCE_BITS OFFSET MS...  ->  the id that each time of the clock gives
//   set HEX                                        ->  stream epoch seq id parents..., and HEX anew
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HexFormat;
import org.agrona.concurrent.EpochClock;
import org.agrona.concurrent.SnowflakeIdGenerator;
import org.agrona.concurrent.UnsafeBuffer;
import shm.tensorpool.tracelink.MessageHeaderDecoder;
import shm.tensorpool.tracelink.MessageHeaderEncoder;
import shm.tensorpool.tracelink.TraceLinkSetDecoder;
import shm.tensorpool.tracelink.TraceLinkSetEncoder;

public class Peer {
  static class ToldClock implements EpochClock {
    long now;

    public long time() {
      return now;
    }
  }

  public static void main(String[] arguments) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = in.readLine()) != null; ) {
      String[] words = line.split(" ");
      System.out.println(words[0].equals("ids") ? ids(words) : set(HexFormat.of().parseHex(words[1])));
    }
  }

  static String ids(String[] words) {
    ToldClock clock = new ToldClock();
    clock.now = Long.parseLong(words[5]);
    SnowflakeIdGenerator generator =
        new SnowflakeIdGenerator(
            Integer.parseInt(words[2]), Integer.parseInt(words[3]), Long.parseLong(words[1]), Long.parseLong(words[4]), clock);
    StringBuilder answer = new StringBuilder();
    for (int i = 5; i < words.length; i++) {
      clock.now = Long.parseLong(words[i]);
      answer.append(generator.nextId()).append(' ');
    }
    return answer.toString().trim();
  }

  static String set(byte[] message) {
    TraceLinkSetDecoder read = new TraceLinkSetDecoder();
    read.wrapAndApplyHeader(new UnsafeBuffer(message), 0, new MessageHeaderDecoder());
    StringBuilder answer = new StringBuilder();
    answer.append(read.streamId()).append(' ').append(Long.toUnsignedString(read.epoch())).append(' ');
    answer.append(Long.toUnsignedString(read.seq())).append(' ').append(Long.toUnsignedString(read.traceId()));

    UnsafeBuffer fresh = new UnsafeBuffer(new byte[1 << 20]);
    TraceLinkSetEncoder written = new TraceLinkSetEncoder();
    written.wrapAndApplyHeader(fresh, 0, new MessageHeaderEncoder());
    written.streamId(read.streamId()).epoch(read.epoch()).seq(read.seq()).traceId(read.traceId());
    TraceLinkSetDecoder.ParentsDecoder parents = read.parents();
    TraceLinkSetEncoder.ParentsEncoder anew = written.parentsCount(parents.count());
    while (parents.hasNext()) {
      long parent = parents.next().traceId();
      answer.append(' ').append(Long.toUnsignedString(parent));
      anew.next().traceId(parent);
    }
    byte[] bytes = new byte[MessageHeaderEncoder.ENCODED_LENGTH + written.encodedLength()];
    fresh.getBytes(0, bytes);
    return answer + " " + HexFormat.of().formatHex(bytes);
  }
}
